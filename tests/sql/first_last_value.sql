-- FIRST_VALUE and LAST_VALUE pass over NULL, as Flink's; first and last do not.
-- unordered
CREATE TABLE bids (
  auction BIGINT, bidder STRING, price BIGINT, channel STRING, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'data/bids.json', 'format' = 'json');
CREATE TABLE out (auction BIGINT, a STRING, b STRING, c STRING, d STRING) WITH ('connector' = 'print');
INSERT INTO out
SELECT auction, FIRST_VALUE(bidder), LAST_VALUE(lower(bidder)),
  LAST_VALUE(channel) FILTER (WHERE ts <= TIMESTAMP '2024-01-01 00:00:12'),
  last(channel) FILTER (WHERE ts <= TIMESTAMP '2024-01-01 00:00:12')
FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, auction;
