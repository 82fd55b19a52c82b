-- Sessions and pages for the analysts: what processed_events knows about a view, one typed column each. A view repeated by
-- the same user on the same page within 10 seconds (a reload) counts once.

SET 'pipeline.name' = 'data_enrichment';
SET 'execution.checkpointing.interval' = '500ms';

CREATE TABLE processed_events (
  id             UUID,
  `timestamp`    TIMESTAMP_LTZ(3),
  user_id        STRING,
  event_type     STRING,
  processed_data STRING,
  arrived        TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  WATERMARK FOR arrived AS arrived - INTERVAL '1' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = 'processed_events',
  'format' = 'json',
  'scan.startup.mode' = 'earliest-offset',
  'scan.watermark.idle-timeout' = '2s'
);

CREATE TABLE enriched_events (
  id            UUID,
  `timestamp`   TIMESTAMP_LTZ(3),
  user_id       STRING,
  event_type    STRING,
  page          STRING,
  section       STRING,
  source        STRING,
  device        STRING,
  bytes         BIGINT,
  original_time TIMESTAMP(3),
  PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'duckdb',
  'path' = 'serving.duckdb',
  'table' = 'streaming_data.enriched_events'
);

CREATE VIEW views AS
SELECT id, `timestamp`, user_id, event_type, arrived,
  json_extract_string(processed_data, '$.page') AS page,
  json_extract_string(processed_data, '$.source') AS source,
  json_extract_string(processed_data, '$.device') AS device,
  try_cast(json_extract_string(processed_data, '$.bytes') AS BIGINT) AS bytes,
  try_cast(json_extract_string(processed_data, '$.original_time') AS TIMESTAMP) AS original_time
FROM processed_events;

INSERT INTO enriched_events
SELECT id, `timestamp`, user_id, event_type, page,
  CASE WHEN page = '/' THEN 'home' ELSE split_part(page, '/', 2) END AS section,
  source, device, bytes, original_time
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, user_id, page ORDER BY arrived ASC) AS row_num
  FROM TABLE(TUMBLE(TABLE views, DESCRIPTOR(arrived), INTERVAL '10' SECOND))
) WHERE row_num = 1;
