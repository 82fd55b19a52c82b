-- Every 10 seconds: how many events came through, how many did not, and how long they took, into monitoring_events.

SET 'pipeline.name' = 'monitor';
SET 'execution.checkpointing.interval' = '500ms';

CREATE TABLE processed_events (
  created_at  TIMESTAMP_LTZ(3),
  received_at TIMESTAMP_LTZ(3),
  arrived     TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  WATERMARK FOR arrived AS arrived - INTERVAL '1' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = 'processed_events',
  'format' = 'json',
  'scan.startup.mode' = 'earliest-offset',
  'scan.watermark.idle-timeout' = '2s'
);

CREATE TABLE error_events (
  reason  STRING,
  arrived TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  WATERMARK FOR arrived AS arrived - INTERVAL '1' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = 'error_events',
  'format' = 'json',
  'scan.startup.mode' = 'earliest-offset',
  'scan.watermark.idle-timeout' = '2s'
);

CREATE TABLE monitoring_events (
  window_start   TIMESTAMP(3),
  window_end     TIMESTAMP(3),
  events         BIGINT,
  errors         BIGINT,
  error_rate     DOUBLE,
  p99_latency_ms DOUBLE
) WITH (
  'connector' = 'kafka',
  'topic' = 'monitoring_events',
  'format' = 'json'
);

CREATE TABLE monitoring_table (
  window_start   TIMESTAMP(3),
  window_end     TIMESTAMP(3),
  events         BIGINT,
  errors         BIGINT,
  error_rate     DOUBLE,
  p99_latency_ms DOUBLE,
  PRIMARY KEY (window_start) NOT ENFORCED
) WITH (
  'connector' = 'duckdb',
  'path' = 'serving.duckdb',
  'table' = 'streaming_data.monitoring_events'
);

CREATE VIEW outcomes AS
SELECT arrived, 0 AS failed, CAST(epoch_ms(created_at) - epoch_ms(received_at) AS DOUBLE) AS latency_ms FROM processed_events
UNION ALL
SELECT arrived, 1 AS failed, CAST(NULL AS DOUBLE) AS latency_ms FROM error_events;

CREATE VIEW per_window AS
SELECT
  window_start,
  window_end,
  count(*) AS events,
  CAST(sum(failed) AS BIGINT) AS errors,
  avg(failed) AS error_rate,
  quantile_cont(latency_ms, 0.99) AS p99_latency_ms
FROM TABLE(TUMBLE(TABLE outcomes, DESCRIPTOR(arrived), INTERVAL '10' SECOND))
GROUP BY window_start, window_end;

INSERT INTO monitoring_events SELECT * FROM per_window;
INSERT INTO monitoring_table SELECT * FROM per_window;
