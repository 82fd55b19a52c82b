-- What does not decode or breaks a constraint goes to the job's errors; the others pass.
-- bad: amount
-- bad: JSON
-- bad: constraint
-- bad: id
CREATE TABLE amounts (
  id BIGINT NOT NULL, name STRING, amount DOUBLE,
  CONSTRAINT positive CHECK (amount >= 0)
) WITH ('connector' = 'filesystem', 'path' = 'data/broken.json', 'format' = 'json');
CREATE TABLE out (id BIGINT, name STRING, amount DOUBLE) WITH ('connector' = 'print');
INSERT INTO out SELECT id, name, amount FROM amounts;
