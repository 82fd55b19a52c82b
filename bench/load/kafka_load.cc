// One producer or consumer by librdkafka, the same for every broker under test.
//   kafka_load produce BROKERS TOPIC RECORDS BYTES [NAME=VALUE...]     prints "records seconds"
//   kafka_load consume BROKERS TOPIC RECORDS [NAME=VALUE...]
//   kafka_load latency BROKERS TOPIC RATE SECONDS                      one record at a time; prints p50 p99 p99.9 max
//   in us
// Settings as in DESIGN's table: linger 5 ms, batches of 64 KB, acks=all.

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace {

double Now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

[[noreturn]] void Die(const char* what) {
  fprintf(stderr, "kafka_load: %s\n", what);
  exit(1);
}

void Set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  char error[512];
  if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error, sizeof error) != RD_KAFKA_CONF_OK) Die(error);
}

void SetArguments(rd_kafka_conf_t* conf, int argc, char** argv, int from) {
  for (int i = from; i < argc; ++i) {
    const char* eq = strchr(argv[i], '=');
    if (!eq) Die("settings are NAME=VALUE");
    Set(conf, std::string(argv[i], static_cast<size_t>(eq - argv[i])), eq + 1);
  }
}

std::atomic<long> failed{0};

void Delivered(rd_kafka_t*, const rd_kafka_message_t* message, void*) {
  if (message->err) {
    if (failed++ == 0) fprintf(stderr, "kafka_load: %s\n", rd_kafka_err2str(message->err));
  }
}

int Produce(int argc, char** argv) {
  if (argc < 6) Die("produce BROKERS TOPIC RECORDS BYTES");
  long records = atol(argv[4]);
  size_t bytes = static_cast<size_t>(atol(argv[5]));
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  Set(conf, "bootstrap.servers", argv[2]);
  Set(conf, "acks", "all");
  Set(conf, "linger.ms", "5");
  Set(conf, "batch.size", "65536");
  Set(conf, "batch.num.messages", "1000000");
  Set(conf, "queue.buffering.max.messages", "200000");
  Set(conf, "sticky.partitioning.linger.ms", "0");
  SetArguments(conf, argc, argv, 6);
  rd_kafka_conf_set_dr_msg_cb(conf, Delivered);
  char error[512];
  rd_kafka_t* rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
  if (!rk) Die(error);
  rd_kafka_topic_t* topic = rd_kafka_topic_new(rk, argv[3], nullptr);
  // Not compressible, not all alike.
  std::string payload(bytes + 4096, 0);
  unsigned state = 1;
  for (char& c : payload) c = static_cast<char>((state = state * 1664525u + 1013904223u) >> 24);
  const rd_kafka_metadata_t* metadata = nullptr;
  if (rd_kafka_metadata(rk, 0, topic, &metadata, 20'000)) Die("no metadata");
  int partitions = metadata->topics[0].partition_cnt;
  rd_kafka_metadata_destroy(metadata);
  double started = Now();
  for (long i = 0; i < records; ++i) {
    int partition = static_cast<int>(i % partitions);
    while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, payload.data() + i % 4096, bytes, nullptr, 0,
                            nullptr) < 0) {
      if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) Die(rd_kafka_err2str(rd_kafka_last_error()));
      rd_kafka_poll(rk, 10);
    }
    if (i % 1000 == 0) rd_kafka_poll(rk, 0);
  }
  if (rd_kafka_flush(rk, 120'000) || failed > 0) Die("not all records were acknowledged");
  printf("%ld %.3f\n", records, Now() - started);
  rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(rk);
  return 0;
}

int Consume(int argc, char** argv) {
  if (argc < 5) Die("consume BROKERS TOPIC RECORDS");
  long records = atol(argv[4]);
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  Set(conf, "bootstrap.servers", argv[2]);
  Set(conf, "group.id", "kafka_load");
  Set(conf, "enable.auto.commit", "false");
  Set(conf, "fetch.message.max.bytes", "1048576");
  Set(conf, "check.crcs", "false");
  SetArguments(conf, argc, argv, 5);
  char error[512];
  rd_kafka_t* rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error);
  if (!rk) Die(error);
  rd_kafka_poll_set_consumer(rk);
  const rd_kafka_metadata_t* metadata = nullptr;
  rd_kafka_topic_t* topic = rd_kafka_topic_new(rk, argv[3], nullptr);
  if (rd_kafka_metadata(rk, 0, topic, &metadata, 20'000)) Die("no metadata");
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  for (int p = 0; p < metadata->topics[0].partition_cnt; ++p) {
    rd_kafka_topic_partition_list_add(list, argv[3], p)->offset = RD_KAFKA_OFFSET_BEGINNING;
  }
  rd_kafka_metadata_destroy(metadata);
  double started = Now();
  rd_kafka_assign(rk, list);
  rd_kafka_queue_t* queue = rd_kafka_queue_get_consumer(rk);
  std::vector<rd_kafka_message_t*> batch(10'000);
  long seen = 0;
  while (seen < records) {
    ssize_t n = rd_kafka_consume_batch_queue(queue, 10'000, batch.data(), batch.size());
    if (n <= 0) Die("no records for 10 s");
    for (ssize_t i = 0; i < n; ++i) {
      if (!batch[static_cast<size_t>(i)]->err) ++seen;
      rd_kafka_message_destroy(batch[static_cast<size_t>(i)]);
    }
  }
  printf("%ld %.3f\n", seen, Now() - started);
  fflush(stdout);
  _exit(0);
}

int Latency(int argc, char** argv) {
  if (argc < 6) Die("latency BROKERS TOPIC RATE SECONDS");
  double rate = atof(argv[4]), seconds = atof(argv[5]);
  char error[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  Set(conf, "bootstrap.servers", argv[2]);
  Set(conf, "group.id", "kafka_load_latency");
  Set(conf, "fetch.wait.max.ms", "500");
  SetArguments(conf, argc, argv, 6);
  rd_kafka_t* consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error);
  rd_kafka_poll_set_consumer(consumer);
  conf = rd_kafka_conf_new();
  Set(conf, "bootstrap.servers", argv[2]);
  Set(conf, "linger.ms", "0");
  Set(conf, "acks", "all");
  rd_kafka_t* producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
  rd_kafka_topic_t* topic = rd_kafka_topic_new(producer, argv[3], nullptr);
  const rd_kafka_metadata_t* metadata = nullptr;
  if (rd_kafka_metadata(producer, 0, topic, &metadata, 20'000)) Die("no metadata");
  rd_kafka_metadata_destroy(metadata);
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, argv[3], 0)->offset = RD_KAFKA_OFFSET_END;
  rd_kafka_assign(consumer, list);
  std::vector<double> times;
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done) {
      rd_kafka_message_t* m = rd_kafka_consumer_poll(consumer, 200);
      if (!m) continue;
      if (!m->err && m->len == 100) {
        double sent;
        memcpy(&sent, m->payload, sizeof sent);
        times.push_back(Now() - sent);
      }
      rd_kafka_message_destroy(m);
    }
  });
  sleep(2);
  char payload[100] = {};
  double started = Now();
  long n = 0;
  for (double next = started; next < started + seconds; next += 1 / rate, ++n) {
    while (Now() < next) {
      double wait = next - Now();
      if (wait > 20e-6) usleep(static_cast<useconds_t>(wait * 5e5));
    }
    double now = Now();
    memcpy(payload, &now, sizeof now);
    rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, payload, sizeof payload, nullptr, 0, nullptr);
    rd_kafka_poll(producer, 0);
  }
  rd_kafka_flush(producer, 10'000);
  sleep(1);
  done = true;
  reader.join();
  if (times.size() < static_cast<size_t>(n) / 2) Die("half of the records did not arrive");
  std::sort(times.begin(), times.end());
  auto at = [&](double q) {
    return times[std::min(times.size() - 1, static_cast<size_t>(q * static_cast<double>(times.size())))] * 1e6;
  };
  printf("%.0f %.0f %.0f %.0f\n", at(0.5), at(0.99), at(0.999), times.back() * 1e6);
  fflush(stdout);
  _exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  std::string what = argc > 1 ? argv[1] : "";
  if (what == "produce") return Produce(argc, argv);
  if (what == "consume") return Consume(argc, argv);
  if (what == "latency") return Latency(argc, argv);
  Die("produce, consume or latency");
}
