-- expect-error: unknown_column.sql:
-- expect-error: pricce
CREATE TABLE bids (
  auction BIGINT, bidder STRING, price BIGINT, channel STRING, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'data/bids.json', 'format' = 'json');
CREATE TABLE out (p BIGINT) WITH ('connector' = 'print');
INSERT INTO out SELECT pricce FROM bids;
