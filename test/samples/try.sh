nats kv put demo greeting hello
curl http://127.0.0.1:7401/v1/caches/demo/keys/greeting
curl http://127.0.0.1:7402/v1/caches/demo/keys/greeting
curl http://127.0.0.1:7403/v1/caches/demo/keys/greeting
npx sluice log --cache demo
