-- A view used twice; UNION ALL of both.
CREATE TABLE bids (
  auction BIGINT, bidder STRING, price BIGINT, channel STRING, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'data/bids.json', 'format' = 'json');
CREATE VIEW web AS SELECT auction, price FROM bids WHERE channel = 'web';
CREATE TABLE out (kind STRING, auction BIGINT, price BIGINT) WITH ('connector' = 'print');
-- unordered
INSERT INTO out SELECT 'cheap', auction, price FROM web WHERE price < 175 UNION ALL SELECT 'dear', auction, price FROM web WHERE price >= 175;
