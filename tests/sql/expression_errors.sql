-- A row whose expression fails is a bad record; the job goes on.
-- bad: ten
CREATE TABLE texts (id BIGINT, name STRING, amount STRING) WITH ('connector' = 'filesystem', 'path' = 'data/broken.json', 'format' = 'json', 'json.ignore-parse-errors' = 'true');
CREATE TABLE out (id BIGINT, amount DOUBLE) WITH ('connector' = 'print');
INSERT INTO out SELECT id, CAST(amount AS DOUBLE) FROM texts WHERE id IS NOT NULL;
