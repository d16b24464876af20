#!/bin/sh
# holdfast.1.sh PROGRAM: its manual page, made of what its --help says.
set -eu
cat <<'END'
.TH HOLDFAST 1 "2026-11-27" "holdfast"
.SH NAME
holdfast \- shows and changes a cluster of holdfast gateways
.SH SYNOPSIS
.B holdfast
.I GROUP VERB
.RI [ ARGUMENT... ]
.RB [ \-\-socket
.IR PATH ]
.RB [ \-o " json]"
.SH DESCRIPTION
Talks to the holdfastd of this machine by its admin socket, as root.
.B holdfast pki
makes certificates and needs no daemon.
.SH COMMANDS
.nf
END
"$1" --help | sed -e '1,2d' -e 's/\\/\\e/g' -e 's/-/\\-/g' -e "s/^\\([.']\\)/\\\\\&\\1/"
cat <<'END'
.fi
.SH SEE ALSO
.BR holdfastd (8)
END
