# a new secret, shown this once; the old one lives for two more days
api --json '{"overlap":"48h"}' $B/v1/webhooks/erp-orders/secret/rotate | jq -r .secret
# give it to the receiver at any time in these two days; see which secrets live
api $B/v1/webhooks/erp-orders | jq -c '.secrets[] | [.id,.hint,.expiresAt]'
# the receiver has the new one: end the old one now, rather than in two days
OLD=$(api $B/v1/webhooks/erp-orders | jq -r '.secrets[0].id')
api -X DELETE "$B/v1/webhooks/erp-orders/secret?id=$OLD"
