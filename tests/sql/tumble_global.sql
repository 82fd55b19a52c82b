-- No key but the window; averages, distinct counts, FILTER.
CREATE TABLE bids (
  auction BIGINT, bidder STRING, price BIGINT, channel STRING, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'data/bids.json', 'format' = 'json');
CREATE TABLE out (window_end TIMESTAMP(3), n BIGINT, bidders BIGINT, avg_price DOUBLE, web BIGINT, median_price DOUBLE) WITH ('connector' = 'print');
INSERT INTO out
SELECT window_end, COUNT(*), COUNT(DISTINCT bidder), AVG(price), COUNT(*) FILTER (WHERE channel = 'web'), median(price)
FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND))
GROUP BY window_start, window_end;
