// The least that a relay of UDP can do: datagrams of one client, which come to
// one socket, go on to a server by another socket that is connected to it, and
// back. They are received and sent in batches. With "joined" the kernel joins and
// cuts datagrams of one size (GRO and GSO).
//
//	relay PORT SERVERPORT [joined]
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { BATCH = 32, SIZE = 65536, BUFFER = 8 << 20 };

static struct mmsghdr msgs[BATCH];
static struct iovec iovs[BATCH];
static struct sockaddr_in names[BATCH], client;
static char memory[BATCH][SIZE + 1216];
static union {
	char space[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
} control[BATCH];
static int joined;

static void die(const char *what) {
	perror(what);
	exit(1);
}

static int open_socket(int port, int to) {
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), size = BUFFER, on = 1;
	if (fd < 0)
		die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	if (joined && setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on) < 0)
		die("UDP_GRO");
	a.sin_port = htons(port);
	if (port && bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die("bind");
	a.sin_port = htons(to);
	if (to && connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die("connect");
	return fd;
}

// cut has the kernel cut what it has joined, in pieces of the size that it told.
static void cut(struct msghdr *h) {
	int size = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c))
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
			memcpy(&size, CMSG_DATA(c), sizeof size);
	if (size == 0 || (size_t)size >= h->msg_iov->iov_len) {
		h->msg_control = NULL;
		h->msg_controllen = 0;
		return;
	}
	struct cmsghdr *c = h->msg_control;
	uint16_t piece = size;
	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof piece);
	memcpy(CMSG_DATA(c), &piece, sizeof piece);
	h->msg_controllen = CMSG_SPACE(sizeof piece);
}

// pass passes a batch on, and returns how much it was.
static int pass(int from, int to, int up) {
	for (int i = 0; i < BATCH; i++) {
		struct msghdr *h = &msgs[i].msg_hdr;
		iovs[i] = (struct iovec){memory[i], SIZE};
		*h = (struct msghdr){.msg_iov = &iovs[i], .msg_iovlen = 1};
		if (up) {
			h->msg_name = &names[i];
			h->msg_namelen = sizeof names[i];
		}
		if (joined) {
			h->msg_control = control[i].space;
			h->msg_controllen = sizeof control[i].space;
		}
	}
	int n = recvmmsg(from, msgs, BATCH, MSG_DONTWAIT, NULL);
	if (n <= 0)
		return 0;
	if (up)
		client = names[n - 1];
	for (int i = 0; i < n; i++) {
		struct msghdr *h = &msgs[i].msg_hdr;
		iovs[i].iov_len = msgs[i].msg_len;
		h->msg_name = up ? NULL : &client;
		h->msg_namelen = up ? 0 : sizeof client;
		if (joined)
			cut(h);
	}
	for (int i = 0, k; i < n; i += k)
		if ((k = sendmmsg(to, msgs + i, n - i, MSG_DONTWAIT)) <= 0)
			k = 1;
	return n;
}

int main(int argc, char **argv) {
	if (argc < 3)
		return 2;
	joined = argc > 3 && strcmp(argv[3], "joined") == 0;
	int fds[2] = {open_socket(atoi(argv[1]), 0), open_socket(0, atoi(argv[2]))}, poll = epoll_create1(0);
	for (int i = 0; i < 2; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};
		if (epoll_ctl(poll, EPOLL_CTL_ADD, fds[i], &e) < 0)
			die("epoll");
	}
	for (;;) {
		struct epoll_event e[2];
		int n = epoll_wait(poll, e, 2, -1);
		for (int i = 0; i < n; i++) {
			int from = e[i].data.u32;
			for (int k = 0; k < 4 && pass(fds[from], fds[!from], from == 0) == BATCH; k++)
				;
		}
	}
}
