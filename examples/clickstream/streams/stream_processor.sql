-- Validates, cleans and enriches every event of raw_events: one row out for each good one, within a second, to a topic
-- and to the serving table; a bad one goes to error_events with the reason, its bytes and where it was.

SET 'pipeline.name' = 'stream_processor';
SET 'execution.checkpointing.interval' = '200ms';
SET 'errors.topic' = 'error_events';

CREATE TABLE raw_events (
  `timestamp`   TIMESTAMP_LTZ(3) NOT NULL,
  user_id       STRING NOT NULL,
  event_type    STRING NOT NULL,
  data          STRING,
  received_at   TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  `partition`   INT METADATA VIRTUAL,
  `offset`      BIGINT METADATA VIRTUAL,
  CONSTRAINT user_id_length   CHECK (length(trim(user_id)) BETWEEN 1 AND 128),
  CONSTRAINT event_type_known CHECK (lower(trim(event_type)) IN
    ('click', 'page_view', 'download', 'search', 'not_found', 'purchase', 'login', 'logout')),
  CONSTRAINT timestamp_sane   CHECK (`timestamp` BETWEEN TIMESTAMPTZ '2000-01-01 00:00:00+00' AND TIMESTAMPTZ '2100-01-01 00:00:00+00')
) WITH (
  'connector' = 'kafka',
  'topic' = 'raw_events',
  'format' = 'json',
  'scan.startup.mode' = 'earliest-offset'
);

-- The topic others read.
CREATE TABLE processed_events (
  id             UUID,
  `timestamp`    TIMESTAMP_LTZ(3),
  user_id        STRING,
  event_type     STRING,
  processed_data STRING,
  created_at     TIMESTAMP_LTZ(3),
  received_at    TIMESTAMP_LTZ(3)
) WITH (
  'connector' = 'kafka',
  'topic' = 'processed_events',
  'format' = 'json',
  'key.fields' = 'user_id'
);

-- The serving table streaming_data.processed_events.
CREATE TABLE served_events (
  id             UUID,
  `timestamp`    TIMESTAMP_LTZ(3),
  user_id        STRING,
  event_type     STRING,
  processed_data STRING,
  created_at     TIMESTAMP_LTZ(3),
  PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'duckdb',
  'path' = 'serving.duckdb',
  'table' = 'streaming_data.processed_events'
);

CREATE VIEW cleaned AS
SELECT
  -- The same event has the same id however often it is read: its place in the log, hashed.
  CAST(md5(concat('raw_events-', `partition`, '-', `offset`)) AS UUID) AS id,
  `timestamp`,
  trim(user_id) AS user_id,
  lower(trim(event_type)) AS event_type,
  json_object(
    'page',    coalesce(json_extract_string(data, '$.page'), '/'),
    'session', json_extract_string(data, '$.session_id'),
    'status',  try_cast(json_extract_string(data, '$.status') AS INTEGER),
    'bytes',   try_cast(json_extract_string(data, '$.bytes') AS BIGINT),
    'original_time', json_extract_string(data, '$.original_time'),
    'source',  CASE WHEN json_extract_string(data, '$.referrer') IS NULL THEN 'direct'
                    WHEN json_extract_string(data, '$.referrer') LIKE '%google.%' THEN 'search'
                    WHEN json_extract_string(data, '$.referrer') LIKE '%semicomplete.com%' THEN 'internal'
                    ELSE 'referral' END,
    'device',  CASE WHEN json_extract_string(data, '$.user_agent') IS NULL THEN 'unknown'
                    WHEN regexp_matches(lower(json_extract_string(data, '$.user_agent')), 'bot|crawl|spider|feed') THEN 'bot'
                    WHEN regexp_matches(lower(json_extract_string(data, '$.user_agent')), 'iphone|android|mobile') THEN 'mobile'
                    ELSE 'desktop' END
  )::STRING AS processed_data,
  CURRENT_TIMESTAMP AS created_at,
  received_at
FROM raw_events;

INSERT INTO processed_events SELECT id, `timestamp`, user_id, event_type, processed_data, created_at, received_at FROM cleaned;
INSERT INTO served_events SELECT id, `timestamp`, user_id, event_type, processed_data, created_at FROM cleaned;
