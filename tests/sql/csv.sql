-- CSV with a header, quotes and empty fields.
CREATE TABLE people (id INT, name STRING, city STRING, born DATE)
WITH ('connector' = 'filesystem', 'path' = 'data/people.csv', 'format' = 'csv', 'csv.header' = 'true');
CREATE TABLE out (id INT, name STRING, city STRING, age INT) WITH ('connector' = 'print');
INSERT INTO out SELECT id, name, city, CAST(2024 - EXTRACT(YEAR FROM born) AS INT) FROM people;
