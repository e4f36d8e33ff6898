// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.contract;

import org.iommu4j.explorer.TransitionSystem;
import org.iommu4j.explorer.WorldFactory;

/** A light that one action switches on and off. */
final class Blinker implements TransitionSystem {
    private long on;

    /** Opens blinkers from any bytes. */
    public static final class Factory implements WorldFactory {
        @Override
        public TransitionSystem open(byte[] input) {
            return new Blinker(input.length);
        }
    }

    Blinker(long on) {
        this.on = on;
    }

    @Override
    public int words() {
        return 1;
    }

    @Override
    public int actions() {
        return 1;
    }

    @Override
    public void reset() {
        on = 0;
    }

    @Override
    public int enabled(int[] into) {
        into[0] = 0;
        return 1;
    }

    @Override
    public void apply(int action) {
        on ^= 1;
    }

    @Override
    public long fingerprint() {
        return on;
    }

    @Override
    public void save(long[] into, int at) {
        into[at] = on;
    }

    @Override
    public void restore(long[] from, int at) {
        on = from[at];
    }
}
