-- The first bid of each auction in each window.
CREATE TABLE bids (
  auction BIGINT, bidder STRING, price BIGINT, channel STRING, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'data/bids.json', 'format' = 'json');
CREATE TABLE out (window_start TIMESTAMP(3), auction BIGINT, bidder STRING, price BIGINT) WITH ('connector' = 'print');
INSERT INTO out
SELECT window_start, auction, bidder, price FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, auction ORDER BY ts ASC) AS row_num
  FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND))
) WHERE row_num = 1;
