// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The remark in a timeline that says where a page of a guest's memory is. */
public final class BufferNote {
    private static final Pattern HOST_ADDRESS = Pattern.compile(", HPA 0x([0-9a-f]{1,16}) in memory$");

    private BufferNote() {}

    /** Returns the remark's words. */
    static String of(String name, long guestAddress, long iova, long hostAddress) {
        return name + ": GPA 0x" + Long.toHexString(guestAddress) + " for the guest, IOVA 0x" + Long.toHexString(iova)
                + " for the device, HPA 0x" + Long.toHexString(hostAddress) + " in memory";
    }

    /** Returns the host's physical address of the page that a remark is about; empty for other remarks. */
    public static OptionalLong hostAddress(String remark) {
        Matcher matcher = HOST_ADDRESS.matcher(remark);
        return matcher.find() ? OptionalLong.of(Long.parseUnsignedLong(matcher.group(1), 16)) : OptionalLong.empty();
    }
}
