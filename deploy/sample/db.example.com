$ORIGIN example.com.
$TTL 300
@       SOA   ns1 hostmaster 1 7200 3600 1209600 300
        NS    ns1
        MX    10 mail
        TXT   "v=spf1 -all"
        A     203.0.113.10
ns1     A     198.51.100.53
www     A     203.0.113.10
mail    A     198.51.100.25
global  A     198.51.100.10
mixed   A     203.0.113.10
        A     198.51.100.10
