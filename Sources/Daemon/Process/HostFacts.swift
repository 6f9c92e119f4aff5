// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Glibc
package import Registration

/// What this host says of itself.
package enum HostFacts {
    /// - Parameter node: `--node`.
    package static func surroundings(node: String?) -> NodeIdentity.Surroundings {
        NodeIdentity.Surroundings(node: node, hostName: hostName, isContainer: isContainer, bootID: bootID)
    }

    /// What this host is called in the registry unless told; nil in a container, whose name is gone with it.
    package static var nodeName: String? { isContainer ? nil : hostName }

    package static var hostName: String? {
        var name = [CChar](repeating: 0, count: 256)
        // One byte less than there is, so that a name cut off still ends.
        guard gethostname(&name, name.count - 1) == 0, name[0] != 0 else { return nil }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// What Docker and Podman leave in every container.
    private static var isContainer: Bool {
        access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0
    }

    /// The kernel's, one for all containers of a host; empty where /proc is hidden.
    private static var bootID: String {
        guard let file = fopen("/proc/sys/kernel/random/boot_id", "re") else { return "" }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 64)
        guard fgets(&line, Int32(line.count), file) != nil else { return "" }
        return String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
