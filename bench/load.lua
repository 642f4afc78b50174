-- What wrk is told: POST bodies of BENCH_BODY bytes when that is set, and one line of JSON at the end.
-- Nothing of it runs for each request.
local size = tonumber(os.getenv('BENCH_BODY') or '0')
if size > 0 then
  wrk.method = 'POST'
  wrk.body = string.rep('.', size)
end

function done(summary, latency)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %f, "bytes": %d, "failed": %d, "p50": %d, "p99": %d, "p999": %d}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, failed,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
