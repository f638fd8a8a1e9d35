BboundJ
×#<