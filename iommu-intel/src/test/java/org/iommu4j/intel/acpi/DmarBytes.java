// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.acpi;

import java.io.ByteArrayOutputStream;

/** Writes DMAR tables for tests, byte by byte as VT-d chapter 8 lays them out. */
public final class DmarBytes {
    private final ByteArrayOutputStream body = new ByteArrayOutputStream();

    public DmarBytes(int hostAddressWidth, int flags) {
        put(hostAddressWidth - 1, 1);
        put(flags, 1);
        put(0, 8);
        put(0, 2);
    }

    public DmarBytes drhd(boolean includeAll, int segment, long base, byte[]... scopes) {
        structure(0, 16, scopes);
        put(includeAll ? 1 : 0, 1);
        put(0, 1);
        put(segment, 2);
        put(base, 8);
        return scopes(scopes);
    }

    public DmarBytes rmrr(long base, long limit, byte[]... scopes) {
        structure(1, 24, scopes);
        put(0, 4);
        put(base, 8);
        put(limit, 8);
        return scopes(scopes);
    }

    public DmarBytes raw(int... bytes) {
        for (int b : bytes) {
            put(b, 1);
        }
        return this;
    }

    /** Makes a scope; the path is device, function, device, function, ... */
    public static byte[] scope(int type, int enumerationId, int bus, int... path) {
        byte[] scope = new byte[6 + path.length];
        scope[0] = (byte) type;
        scope[1] = (byte) scope.length;
        scope[4] = (byte) enumerationId;
        scope[5] = (byte) bus;
        for (int i = 0; i < path.length; i++) {
            scope[6 + i] = (byte) path[i];
        }
        return scope;
    }

    public byte[] bytes() {
        byte[] content = body.toByteArray();
        byte[] table = new byte[36 + content.length];
        table[0] = 'D';
        table[1] = 'M';
        table[2] = 'A';
        table[3] = 'R';
        for (int i = 0; i < 4; i++) {
            table[4 + i] = (byte) (table.length >>> (8 * i));
        }
        table[8] = 1;
        System.arraycopy(content, 0, table, 36, content.length);
        int sum = 0;
        for (byte b : table) {
            sum += b;
        }
        table[9] = (byte) -sum;
        return table;
    }

    private void structure(int type, int fixed, byte[]... scopes) {
        int length = fixed;
        for (byte[] scope : scopes) {
            length += scope.length;
        }
        put(type, 2);
        put(length, 2);
    }

    private DmarBytes scopes(byte[]... scopes) {
        for (byte[] scope : scopes) {
            body.writeBytes(scope);
        }
        return this;
    }

    private void put(long value, int bytes) {
        for (int i = 0; i < bytes; i++) {
            body.write((int) (value >>> (8 * i)));
        }
    }
}
