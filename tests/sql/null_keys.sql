-- NULL is a group of its own.
-- unordered
CREATE TABLE bids (
  auction BIGINT, bidder STRING, price BIGINT, channel STRING, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'data/bids.json', 'format' = 'json');
CREATE TABLE out (window_start TIMESTAMP(3), channel STRING, n BIGINT) WITH ('connector' = 'print');
INSERT INTO out
SELECT window_start, channel, COUNT(*)
FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, channel;
