package gate

import "golang.org/x/sys/unix"

// pairType tells of the end of the other side, and holds as many messages as fit.
const pairType = unix.SOCK_SEQPACKET
