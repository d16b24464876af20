/* Sends what Linux says when its machine has another generation id, as root, to all that listen in this network namespace;
 * word for word, but for the sender. Exit code 1: it was not taken. */
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char text[] = "change@/devices/platform/VMGENCTR:00\0ACTION=change\0"
                           "DEVPATH=/devices/platform/VMGENCTR:00\0SUBSYSTEM=platform\0"
                           "NEW_VMGENID=1";

int main(void)
{
    struct {
        struct nlmsghdr head;
        char text[sizeof text];
    } message = {.head = {.nlmsg_len = NLMSG_LENGTH(sizeof text),
                          .nlmsg_type = NLMSG_MIN_TYPE,
                          .nlmsg_flags = NLM_F_REQUEST}};
    struct sockaddr_nl to = {.nl_family = AF_NETLINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

    memcpy(message.text, text, sizeof text);
    if (fd < 0 ||
        sendto(fd, &message, message.head.nlmsg_len, 0, (struct sockaddr *)&to, sizeof to) < 0) {
        perror("holdfast-rolled-event");
        return 1;
    }
    return close(fd) == 0 ? 0 : 1;
}
