-- A filter and computed columns.
CREATE TABLE bids (
  auction BIGINT, bidder STRING, price BIGINT, channel STRING, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'data/bids.json', 'format' = 'json');
CREATE TABLE expensive (auction BIGINT, bidder STRING, euros DECIMAL(10, 2), size STRING) WITH ('connector' = 'print');
INSERT INTO expensive
SELECT auction, UPPER(bidder), CAST(price * 0.908 AS DECIMAL(10, 2)), CASE WHEN price >= 250 THEN 'large' ELSE 'small' END
FROM bids WHERE price > 100 AND channel IS NOT NULL;
