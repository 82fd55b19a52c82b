-- expect-error: missing.json
CREATE TABLE bids (price BIGINT) WITH ('connector' = 'filesystem', 'path' = 'data/missing.json', 'format' = 'json');
CREATE TABLE out (p BIGINT) WITH ('connector' = 'print');
INSERT INTO out SELECT price FROM bids;
