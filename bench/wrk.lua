-- Sends the tokens of a file in turn, each as many times as it takes to reach the number of requests, and says so.
-- args: the file, the number of requests
local requests, sent, last, announced = {}, 0, 0, false

function init(args)
  last = tonumber(args[2])
  for token in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format('GET', '/secure-data', { authorization = 'Bearer ' .. token })
  end
end

function request()
  sent = sent + 1
  if sent > last then
    wrk.thread:stop()
    if not announced then io.stderr:write('sent\n') end
    announced = true
  end
  return requests[(sent - 1) % #requests + 1]
end

function done(summary, latency)
  local form = '{"requests":%d,"refused":%d,"failed":%d,"p99Ms":%.3f}\n'
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(form, summary.requests, errors.status, failed, latency:percentile(99) / 1000))
end
