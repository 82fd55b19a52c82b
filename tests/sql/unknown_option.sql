-- expect-error: unknown_option.sql:
-- expect-error: formatt
CREATE TABLE bids (price BIGINT) WITH ('connector' = 'filesystem', 'path' = 'data/bids.json', 'formatt' = 'json');
CREATE TABLE out (p BIGINT) WITH ('connector' = 'print');
INSERT INTO out SELECT price FROM bids;
