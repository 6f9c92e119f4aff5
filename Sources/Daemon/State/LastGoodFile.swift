// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
private import Glibc
package import Registry
private import Relay
private import SystemPackage

/// What a proxy knew last, as a file of its own in the state directory: mode 0600, replaced as a whole.
package struct LastGoodFile: LastGoodStore {
    /// Another user's file, or one that says nothing we could use.
    private struct Refused: Error, CustomStringConvertible {
        let path: FilePath
        let reason: String
        var description: String { "\(path): \(reason)" }
    }

    /// Where a package or a container keeps state when systemd names no place.
    private static let standardDirectory = "/var/lib/legation"

    package let origin: LastGood.Origin
    private let directory: FilePath
    private var path: FilePath { directory.appending(origin.fileName) }

    /// Where it stands.
    package var place: String { path.string }

    /// - Parameter environment: `STATE_DIRECTORY` as systemd sets it, of which the first directory is taken.
    package init(origin: LastGood.Origin, environment: [String: String]) {
        self.origin = origin
        let named = environment["STATE_DIRECTORY"]?.split(separator: ":").first
        directory = FilePath(named.map(String.init) ?? Self.standardDirectory)
    }

    package func load() throws -> LastGood? {
        let file: FileDescriptor
        do {
            // A link could have been laid by somebody else.
            file = try FileDescriptor.open(path, .readOnly, options: [.noFollow, .closeOnExec])
        } catch Errno.noSuchFileOrDirectory {
            return nil
        } catch {
            throw Refused(path: path, reason: "\(error)")
        }
        let bytes = try file.closeAfter {
            // Of what was opened (proc(5)): the name may stand for another file by now.
            let opened = SocketFile(at: "/proc/self/fd/\(file.rawValue)")
            guard let owner = opened?.owner, owner == geteuid() else {
                throw Refused(
                    path: path, reason: "it belongs to another user (\(opened.map { "\($0.owner)" } ?? "unknown"))")
            }
            return try Self.contents(of: file)
        }
        do throws(LastGood.Refusal) {
            return try LastGood(decoding: bytes, for: origin)
        } catch {
            throw Refused(path: path, reason: error.description)
        }
    }

    /// Not synchronised: a file that a power cut left half is found out by its checksum, and a disk that is waited for
    /// every second would cost more than it is worth.
    package func save(_ lastGood: LastGood) throws {
        let draft = directory.appending(".\(origin.fileName).\(getpid())")
        do {
            // The one that packages would have made; anybody else's must exist.
            if directory.string == Self.standardDirectory { _ = mkdir(directory.string, 0o700) }
            let file = try FileDescriptor.open(
                draft, .writeOnly, options: [.create, .truncate, .noFollow, .closeOnExec],
                permissions: [.ownerReadWrite])
            _ = try file.closeAfter { try file.writeAll(lastGood.encoded()) }
            guard rename(draft.string, path.string) == 0 else { throw Errno(rawValue: errno) }
        } catch {
            unlink(draft.string)
            throw Refused(path: path, reason: "\(error)")
        }
    }

    /// One byte more than a file may have tells that it is too long.
    private static func contents(of file: FileDescriptor) throws -> [UInt8] {
        var bytes: [UInt8] = []
        let chunk = 1 << 20
        while bytes.count <= LastGood.maximumLength {
            let part = try [UInt8](unsafeUninitializedCapacity: chunk) { buffer, count in
                count = try file.read(into: UnsafeMutableRawBufferPointer(buffer))
            }
            if part.isEmpty { break }
            bytes += part
        }
        return bytes
    }
}
