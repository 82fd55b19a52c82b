-- Several INSERTs are one job over one source.
CREATE TABLE bids (
  auction BIGINT, bidder STRING, price BIGINT, channel STRING, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'data/bids.json', 'format' = 'json');
CREATE TABLE web (auction BIGINT, price BIGINT) WITH ('connector' = 'print', 'print-identifier' = 'web');
CREATE TABLE app (bidder STRING) WITH ('connector' = 'print', 'print-identifier' = 'app');
-- unordered
EXECUTE STATEMENT SET BEGIN
INSERT INTO web SELECT auction, price FROM bids WHERE channel = 'web';
INSERT INTO app SELECT bidder FROM bids WHERE channel = 'app';
END;
