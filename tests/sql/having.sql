-- HAVING is a filter over the aggregate.
CREATE TABLE bids (
  auction BIGINT, bidder STRING, price BIGINT, channel STRING, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'data/bids.json', 'format' = 'json');
CREATE TABLE out (window_start TIMESTAMP(3), auction BIGINT, n BIGINT) WITH ('connector' = 'print');
INSERT INTO out
SELECT window_start, auction, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND))
GROUP BY window_start, window_end, auction HAVING COUNT(*) > 1;
