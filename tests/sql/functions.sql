-- Scalar functions.
CREATE TABLE bids (
  auction BIGINT, bidder STRING, price BIGINT, channel STRING, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'data/bids.json', 'format' = 'json');
CREATE TABLE out (a STRING, b STRING, c BIGINT, d STRING, e TIMESTAMP(3), f BOOLEAN, g STRING) WITH ('connector' = 'print');
INSERT INTO out
SELECT CONCAT(bidder, '-', channel), SUBSTRING(bidder, 1, 2), MOD(price, 7), DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm'),
       ts + INTERVAL '1' HOUR, bidder LIKE '%n%', COALESCE(bidder, 'nobody')
FROM bids WHERE auction = 3 OR price = 300;
