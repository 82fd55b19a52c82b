-- Rows in rows, arrays.
CREATE TABLE people (id INT, person ROW<name STRING, address ROW<city STRING, zip STRING>>, tags ARRAY<STRING>, scores ARRAY<INT>)
WITH ('connector' = 'filesystem', 'path' = 'data/nested.json', 'format' = 'json');
CREATE TABLE out (id INT, name STRING, city STRING, first_tag STRING, tags BIGINT, address ROW<city STRING, zip STRING>, scores ARRAY<INT>) WITH ('connector' = 'print');
INSERT INTO out SELECT id, person.name, person.address.city, tags[1], len(tags), person.address, scores FROM people;
