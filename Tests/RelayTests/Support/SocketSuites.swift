// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

/// Holds every suite that opens sockets. One test at a time: they count descriptors, lower their limit, and fill ports.
@Suite(.serialized, .timeLimit(.minutes(3)))
enum SocketSuites {}
