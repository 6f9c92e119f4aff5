// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Glibc

/// The ports that the kernel chooses from for those who call: ip_local_port_range (ip(7)), as it was at the start.
struct EphemeralPorts: Sendable {
    private let range: ClosedRange<UInt16>

    /// - Parameter file: two numbers; where it says nothing of use, any port may be chosen.
    init(file: String = "/proc/sys/net/ipv4/ip_local_port_range") {
        range = Self.read(file) ?? 1...UInt16.max
    }

    /// Whether one who calls this port may be given it as its own. False for one of another family.
    func mayMeet(_ address: SocketAddress) -> Bool { address.port.map(range.contains) ?? false }

    private static func read(_ file: String) -> ClosedRange<UInt16>? {
        let descriptor = Syscall.retrying { Int(open(file, O_RDONLY | O_CLOEXEC)) }
        guard descriptor >= 0 else { return nil }
        let owned = OwnedDescriptor(adopting: Int32(descriptor))
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = Syscall.retrying { Glibc.read(owned.number, &bytes, bytes.count) }
        guard count > 0 else { return nil }
        let words = bytes[..<count].split { $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: " ") || $0 == 10 }
        let numbers = words.compactMap { UInt16(String(decoding: $0, as: UTF8.self)) }
        guard numbers.count == 2, numbers[0] <= numbers[1] else { return nil }
        return numbers[0]...numbers[1]
    }
}
