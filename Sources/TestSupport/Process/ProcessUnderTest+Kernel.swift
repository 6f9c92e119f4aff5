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

    /// The same once it has stood still for 200 ms: `listening` is logged before the workers have started.
    package func settledDescriptors() async throws -> Int {
        var last = -1
        var since = ContinuousClock.now
        try await waitFor("\(command) to have started") {
            let count = try descriptorCount
            if count != last { (last, since) = (count, .now) }
            return ContinuousClock.now - since > .milliseconds(200)
        }
        return last
    }

    /// Memory that it holds, bytes.
    package var residentBytes: Int { get throws { try statusBytes("VmRSS") } }

    /// Memory that is its own and no file's, bytes: what it allocates.
    package var anonymousBytes: Int { get throws { try statusBytes("RssAnon") } }

    private func statusBytes(_ field: String) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("\(field):") }
        guard let kilobytes = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) }) else {
            throw Unexpected("no \(field) in \(status)")
        }
        return kilobytes * 1024
    }

    /// Processor time that it has taken so far, of all its threads.
    package var processorTime: Duration {
        get throws {
            let stat = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
            // Fields 14 and 15, user and system, in ticks (proc(5)); the name, field 2, may hold blanks.
            let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
            guard fields.count > 13, let user = Int(fields[12]), let system = Int(fields[13]) else {
                throw Unexpected("no times in \(stat)")
            }
            return .seconds(Double(user + system) / Double(sysconf(Int32(_SC_CLK_TCK))))
        }
    }

    /// Waits until it has taken no processor time for a while: nothing is left that it could do.
    package func rest(for quiet: Duration = .milliseconds(500), within limit: Duration = .seconds(60)) async throws {
        var last = Duration.zero
        var since = ContinuousClock.now
        try await waitFor("\(command) to rest", within: limit) {
            let time = try processorTime
            if time != last { (last, since) = (time, .now) }
            return ContinuousClock.now - since > quiet
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
