BboundJ
ף<