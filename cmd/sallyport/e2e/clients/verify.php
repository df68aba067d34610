<?php
// The verifier that PHP receivers write: standard input is the body, the arguments are the key
// and the header's value.
exit(hash_equals(hash_hmac('sha256', file_get_contents('php://stdin'), $argv[1]), $argv[2]) ? 0 : 1);
