// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.vendor;

import java.util.Random;

/** Text that nobody meant. */
final class Noise {
    private static final String USUAL = " \t:;,.=()[]{}<>-+*/%$#'\"\\0123456789abcdefxABCDEFX";

    private Noise() {}

    /** Returns so many characters: some usual in logs, some of any kind, half surrogates among them. */
    static String text(Random random, int length) {
        StringBuilder text = new StringBuilder(length);
        for (int i = 0; i < length; i++) {
            text.append(
                    random.nextInt(8) > 0
                            ? USUAL.charAt(random.nextInt(USUAL.length()))
                            : (char) random.nextInt(Character.MAX_VALUE + 1));
        }
        return text.toString();
    }
}
