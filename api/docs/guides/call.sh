hash=$(printf '%s%s' "$SECRET" "$(date -u +%Y-%m-%d_%H-%M)" | sha256sum | cut -d' ' -f1)
curl -sS --json '{"sku":"A-7", "quantity":3}' "$URL?hash=$hash"
