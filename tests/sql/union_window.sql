-- Two branches of one source meet in a window: the lower watermark counts.
CREATE TABLE bids (
  auction BIGINT, bidder STRING, price BIGINT, channel STRING, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'data/bids.json', 'format' = 'json');
CREATE VIEW both_channels AS
SELECT ts, 1 AS web, price FROM bids WHERE channel = 'web' UNION ALL SELECT ts, 0 AS web, price FROM bids WHERE channel = 'app';
CREATE TABLE out (window_start TIMESTAMP(3), n BIGINT, web BIGINT) WITH ('connector' = 'print');
INSERT INTO out SELECT window_start, COUNT(*), CAST(SUM(web) AS BIGINT)
FROM TABLE(TUMBLE(TABLE both_channels, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end;
