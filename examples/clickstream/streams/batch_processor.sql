-- The batch layer's first step: everything that is in processed_events now, counted per minute and type, then the end.

SET 'pipeline.name' = 'batch_processor';

CREATE TABLE processed_events (
  user_id    STRING,
  event_type STRING,
  arrived    TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  WATERMARK FOR arrived AS arrived
) WITH (
  'connector' = 'kafka',
  'topic' = 'processed_events',
  'format' = 'json',
  'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = 'latest-offset',
  'properties.group.id' = 'batch_processor'
);

CREATE TABLE events_per_minute (
  minute     TIMESTAMP(3),
  event_type STRING,
  events     BIGINT,
  users      BIGINT,
  PRIMARY KEY (minute, event_type) NOT ENFORCED
) WITH (
  'connector' = 'duckdb',
  'path' = 'serving.duckdb',
  'table' = 'streaming_data.events_per_minute'
);

INSERT INTO events_per_minute
SELECT window_start, event_type, count(*), count(DISTINCT user_id)
FROM TABLE(TUMBLE(TABLE processed_events, DESCRIPTOR(arrived), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, event_type;
