N=http://127.0.0.1:7401
curl -X PUT $N/v1/caches/pages -H 'Content-Type: application/json' -d '{"ttl": "5m", "logBytesMax": "64MiB"}'
curl -X PUT $N/v1/caches/pages/keys/home -H 'Content-Type: text/html' -H 'Sluice-Tags: menu' -d '<h1>Hello</h1>'
curl -i $N/v1/caches/pages/keys/home
curl -i "$N/v1/caches/pages/keys/home?consistency=latest"
curl -X POST "$N/v1/caches/pages/invalidate?wait=all" -H 'Content-Type: application/json' -d '{"tags": ["menu"]}'
curl -i $N/v1/caches/pages/keys/home
