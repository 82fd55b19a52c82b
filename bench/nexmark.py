"""Nexmark bids as JSON into a topic: the same bytes for every engine."""
import random

from confluent_kafka import Producer

CHANNELS = ["Google", "Facebook", "Baidu", "Apple"]


def bids(count, per_second=10_000, seed=1):
    """Seven fields, about 200 bytes; event time moves on by 1/per_second s."""
    rng = random.Random(seed)
    tails = []
    for _ in range(5000):
        channel = rng.choice(CHANNELS) if rng.random() < 0.5 else f"channel-{rng.randrange(10_000)}"
        extra = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randrange(20, 40)))
        tails.append(f'"channel":"{channel}","url":"https://www.nexmark.com/{extra[:5]}/item.htm?query=1","extra":"{extra}"}}')
    base = 1_700_000_000_000
    step = 1000 / per_second
    for i in range(count):
        ms = base + int(i * step)
        s, milli = divmod(ms, 1000)
        if i == 0 or s != last:
            import time
            text, last = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(s)), s
        r = rng.getrandbits(40)
        yield (f'{{"auction":{1000 + (r & 1023)},"bidder":{1000 + ((r >> 10) & 4095)},"price":{100 + (r >> 22) % 1_000_000},'
               f'"dateTime":"{text}.{milli:03d}",{tails[i % 5000]}').encode()


def load(bootstrap, topic, count, **kwargs):
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "batch.size": 500_000, "acks": "all",
                         "queue.buffering.max.messages": 500_000, "compression.type": "none"})
    for value in bids(count, **kwargs):
        while True:
            try:
                producer.produce(topic, value, partition=0)
                break
            except BufferError:
                producer.poll(0.05)
    assert producer.flush(120) == 0
