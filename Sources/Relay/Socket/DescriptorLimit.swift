// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import CLinux
internal import Glibc

/// How many descriptors this process may have, and how many connections that makes.
package enum DescriptorLimit {
    /// Raises the soft RLIMIT_NOFILE to the hard one: at start, once, before anything counts on it.
    ///
    /// - Returns: descriptors that the process may have open from now on.
    @discardableResult
    package static func raise() throws(SyscallError) -> Int {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        _ = try Syscall.checked("getrlimit") { Int(getrlimit(resource, &limit)) }
        if limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max
            _ = try Syscall.checked("setrlimit") { Int(setrlimit(resource, &limit)) }
        }
        return Int(clamping: limit.rlim_cur)
    }

    /// The present soft limit.
    static func current() throws(SyscallError) -> Int {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        _ = try Syscall.checked("getrlimit") { Int(getrlimit(resource, &limit)) }
        return Int(clamping: limit.rlim_cur)
    }

    /// Pipes that `descriptors` are good for: docs/promises.md, "The relay".
    ///
    /// - Parameter wanted: the operator's own limit; pipes never get more than a quarter of the descriptors.
    package static func pipes(descriptors: Int, wanted: Int? = nil) -> Int {
        min(descriptors / 8, wanted ?? min(32, descriptors / 64))
    }

    /// Connections that `descriptors` are good for: docs/promises.md, "The relay".
    ///
    /// Two a connection, after what the rest of the process keeps and two for each pipe.
    /// - Parameter pipes: nil for the number that goes with the descriptors.
    /// - Parameter wanted: the operator's own limit; it can lower what the descriptors allow, and lift the 100,000.
    package static func connections(descriptors: Int, pipes: Int? = nil, wanted: Int? = nil) -> Int {
        let pipes = pipes ?? self.pipes(descriptors: descriptors)
        let reserve = min(256, descriptors / 4)
        let possible = max(1, (descriptors - reserve - 2 * pipes) / 2)
        return min(possible, wanted ?? 100_000)
    }
}
