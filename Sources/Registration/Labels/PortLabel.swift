// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker

/// A port of a container as labels name it: `6379` (tcp) or `53-udp`. Labels' names have no slashes, so that they can be
/// typed anywhere; their values may say `53/udp` as well.
struct PortLabel: Sendable, Hashable, Comparable {
    /// What an error message says of the allowed form in a value, and in a label's name.
    static let allowedForm = "a port of the container, 1-65535, with /tcp or /udp behind it or nothing"
    static let allowedNames = "legation.PORT.NAME with a PORT of 1-65535 for tcp, and -udp behind it for udp"

    let number: UInt16
    let transport: ContainerPort.Transport

    init(_ number: UInt16, _ transport: ContainerPort.Transport) {
        self.number = number
        self.transport = transport
    }

    /// From a label's name: one form only, so that no two labels mean the same.
    init?(name: some StringProtocol) {
        self.init(name, separators: "-")
        guard String(name) == labelName else { return nil }
    }

    /// From a label's value.
    init?(value: some StringProtocol) { self.init(value, separators: "/-") }

    private init?(_ text: some StringProtocol, separators: StaticString) {
        let bytes = Array(text.utf8)
        let digits = bytes.prefix { (48...57).contains($0) }
        let rest = bytes.dropFirst(digits.count)
        guard digits.first != UInt8(ascii: "0"), let number = UInt16(String(decoding: digits, as: UTF8.self)),
            rest.first.map({ separators.description.utf8.contains($0) }) ?? true
        else { return nil }
        switch String(decoding: rest.dropFirst(), as: UTF8.self) {
        case "" where rest.isEmpty: self.init(number, .tcp)
        case "tcp": self.init(number, .tcp)
        case "udp": self.init(number, .udp)
        default: return nil
        }
    }

    var labelName: String { transport == .tcp ? "\(number)" : "\(number)-\(transport.rawValue)" }

    static func < (left: Self, right: Self) -> Bool {
        if left.number != right.number { return left.number < right.number }
        return left.transport.rawValue < right.transport.rawValue
    }
}
