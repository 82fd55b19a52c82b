-- expect-error: unknown_table.sql:
-- expect-error: bidz
CREATE TABLE bids (
  auction BIGINT, bidder STRING, price BIGINT, channel STRING, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'data/bids.json', 'format' = 'json');
CREATE TABLE out (p BIGINT) WITH ('connector' = 'print');
INSERT INTO out SELECT price FROM bidz;
