// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Reads one JSON text (RFC 8259) that somebody else wrote: strict, bounded in depth, without a copy of the input.
///
/// Our own because values in a registry are attacker's input: it never recurses deeper than told, refuses a name that
/// stands twice (readers would disagree about which counts) and keeps what it does not understand.
struct JSONParser {
    private let bytes: [UInt8]
    private let maximumDepth: Int
    private var position = 0
    private var depth = 0

    private init(_ bytes: [UInt8], maximumDepth: Int) {
        self.bytes = bytes
        self.maximumDepth = maximumDepth
    }

    /// - Parameter maximumDepth: arrays and objects within each other, the outermost counted.
    /// - Throws: `.json`, `.depth` or `.duplicateField`.
    static func object(_ bytes: [UInt8], maximumDepth: Int) throws(SkipReason) -> JSONObject {
        var parser = JSONParser(bytes, maximumDepth: maximumDepth)
        let value = try parser.value()
        parser.skipSpace()
        guard parser.position == bytes.count, case .object(let object) = value else { throw .json }
        return object
    }

    private mutating func value() throws(SkipReason) -> JSONValue {
        skipSpace()
        switch peek {
        case UInt8(ascii: "{"): return .object(try nested { parser throws(SkipReason) in try parser.members() })
        case UInt8(ascii: "["): return .array(try nested { parser throws(SkipReason) in try parser.elements() })
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        default: return try number()
        }
    }

    private mutating func nested<Value>(
        _ body: (inout JSONParser) throws(SkipReason) -> Value
    ) throws(SkipReason) -> Value {
        guard depth < maximumDepth else { throw .depth }
        depth += 1
        position += 1
        let value = try body(&self)
        depth -= 1
        return value
    }

    /// From after `{` to after `}`.
    private mutating func members() throws(SkipReason) -> JSONObject {
        var members: [JSONObject.Member] = []
        var names: Set<String> = []
        skipSpace()
        if take(UInt8(ascii: "}")) { return JSONObject() }
        repeat {
            skipSpace()
            guard peek == UInt8(ascii: "\"") else { throw .json }
            let name = try string()
            guard names.insert(name).inserted else { throw .duplicateField }
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw .json }
            members.append(JSONObject.Member(name: name, value: try value()))
            skipSpace()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw .json }
        return JSONObject(distinct: members)
    }

    /// From after `[` to after `]`.
    private mutating func elements() throws(SkipReason) -> [JSONValue] {
        var values: [JSONValue] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return [] }
        repeat {
            values.append(try value())
            skipSpace()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw .json }
        return values
    }

    private mutating func literal(_ text: String, _ value: JSONValue) throws(SkipReason) -> JSONValue {
        guard bytes[position...].starts(with: text.utf8) else { throw .json }
        position += text.utf8.count
        return value
    }

    private mutating func number() throws(SkipReason) -> JSONValue {
        let start = position
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) { try digits() }
        if take(UInt8(ascii: ".")) { try digits() }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try digits()
        }
        return .number(String(decoding: bytes[start..<position], as: UTF8.self))
    }

    private mutating func digits() throws(SkipReason) {
        let start = position
        while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        guard position > start else { throw .json }
    }

    private mutating func string() throws(SkipReason) -> String {
        position += 1
        var text: [UInt8] = []
        while let byte = peek {
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: text, as: UTF8.self) else { throw .json }
                return string
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0..<32: throw .json
            default: text.append(byte)
            }
        }
        throw .json
    }

    private mutating func escape(into text: inout [UInt8]) throws(SkipReason) {
        guard let byte = peek else { throw .json }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(8)
        case UInt8(ascii: "f"): text.append(12)
        case UInt8(ascii: "n"): text.append(10)
        case UInt8(ascii: "r"): text.append(13)
        case UInt8(ascii: "t"): text.append(9)
        case UInt8(ascii: "u"): text += Array(String(Character(try unicodeEscape())).utf8)
        default: throw .json
        }
    }

    /// Four hexadecimal digits, or two such escapes that are a surrogate pair; half a pair is no text.
    private mutating func unicodeEscape() throws(SkipReason) -> Unicode.Scalar {
        let first = try hexUnit()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xdc00, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else { throw .json }
        let second = try hexUnit()
        guard (0xdc00...0xdfff).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xd800) << 10 + (second - 0xdc00))
        else { throw .json }
        return scalar
    }

    private mutating func hexUnit() throws(SkipReason) -> UInt32 {
        guard position + 4 <= bytes.count else { throw .json }
        var unit: UInt32 = 0
        for byte in bytes[position..<position + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 128 else { throw .json }
            unit = unit << 4 | UInt32(digit)
        }
        position += 4
        return unit
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = peek, [9, 10, 13, 32].contains(byte) { position += 1 }
    }
}
