// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import Glibc

/// What the kernel says about a program.
extension ProcessUnderTest {
    /// How many descriptors it has open.
    package var descriptorCount: Int {
        get throws { try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count }
    }

    /// Memory that it holds, bytes.
    package var residentBytes: Int {
        get throws {
            let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
            let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
            guard let kilobytes = line?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
                throw Unexpected("no VmRSS in \(status)")
            }
            return kilobytes * 1024
        }
    }

    /// Processes of a session that live, as `pid (name)`.
    static func members(ofSession session: Int32) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { entry in
            guard let pid = Int32(entry), let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
                let end = stat.lastIndex(of: ")")
            else { return nil }
            // After the name: state, parent, group, session (proc(5)).
            let fields = stat[stat.index(after: end)...].split(separator: " ")
            guard fields.count > 3, fields[0] != "Z", Int32(fields[3]) == session else { return nil }
            return String(stat[...end])
        }
    }
}
