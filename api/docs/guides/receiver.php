<?php // SECRET=whsec_… php -S localhost:9000 receiver.php, or behind any web server
$secret = (string) getenv('SECRET');
if ($secret === '') { // or everybody could call
    http_response_code(500);
    exit('SECRET is not set');
}

// webhook-signature: HMAC-SHA256 of id, time and body, in base64; several while secrets change.
function verify(string $secret, string $body): bool {
    $id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
    $at = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    if (!ctype_digit($at) || abs(time() - (int) $at) > 300) return false; // not of these five minutes
    $key = str_starts_with($secret, 'whsec_') ? base64_decode(substr($secret, 6)) : $secret;
    $want = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$at.$body", $key, true));
    foreach (explode(' ', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '') as $given) {
        if (hash_equals($want, $given)) return true;
    }
    return false;
}

// X-Signature: HMAC-SHA256 of the body, in hex, under the secret as it is written. It has no
// time. While secrets change, that of the new one is in X-Signature-Next.
function verifyBody(string $secret, string $body): bool {
    $want = hash_hmac('sha256', $body, $secret);
    return hash_equals($want, $_SERVER['HTTP_X_SIGNATURE'] ?? '') || hash_equals($want, $_SERVER['HTTP_X_SIGNATURE_NEXT'] ?? '');
}

$body = file_get_contents('php://input'); // the raw bytes, before any parser: they are what is signed
$plain = $_SERVER['REQUEST_URI'] === '/plain';
if ($plain ? !verifyBody($secret, $body) : !verify($secret, $body)) {
    http_response_code(401);
    exit('not signed with our secret');
}
$event = json_decode($body, true, flags: JSON_THROW_ON_ERROR);
$id = $plain ? $event['eventId'] : $_SERVER['HTTP_WEBHOOK_ID']; // whichever is signed

// In earnest a unique column, written in the transaction that does the work.
$seen = (getenv('SEEN') ?: sys_get_temp_dir()) . '/seen-' . hash('sha256', $id);
if (file_exists($seen)) exit('seen');
error_log("work on {$event['eventType']} " . json_encode($event['entity'] ?? null));
touch($seen); // after the work: what failed comes again
echo 'done';
