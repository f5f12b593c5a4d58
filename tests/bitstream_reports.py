"""Reports in the formats that Vivado and nextpnr-xilinx write, cut down to what is read; the figures are made up."""

TIMING = """\
Copyright 1986-2022 Xilinx, Inc. All Rights Reserved.
---------------------------------------------------------------------------------------------------------------
| Tool Version : Vivado v.2022.1 (lin64) Build 3526262 Mon Apr 18 15:47:01 MDT 2022
| Date         : Mon Jan  1 00:00:00 2024
| Design       : top
| Device       : 7z020-clg400
| Speed File   : -1  PRODUCTION 1.12 2019-11-22
---------------------------------------------------------------------------------------------------------------

Timing Summary Report

------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  THS Failing Endpoints  THS Total Endpoints     WPWS(ns)     TPWS(ns)  TPWS Failing Endpoints  TPWS Total Endpoints
    -------      -------  ---------------------  -------------------      -------      -------  ---------------------  -------------------     --------     --------  ----------------------  --------------------
      {wns}        {tns}                      0                12345        {whs}        0.000                      0                12345        3.750        0.000                       0                  6789


{verdict}

------------------------------------------------------------------------------------------------
| Clock Summary
| -------------
------------------------------------------------------------------------------------------------

Clock  Waveform(ns)       Period(ns)      Frequency(MHz)
-----  ------------       ----------      --------------
fclk0  {{0.000 5.000}}      10.000          100.000

Max Delay Paths
--------------------------------------------------------------------------------------
Slack ({kind}) :             {wns}ns  (required time - arrival time)
  Source:                 logic_system/accelerator/fc0/weights_reg_3/CLKARDCLK
                            (rising edge-triggered cell RAMB36E1 clocked by fclk0  {{rise@0.000ns fall@5.000ns period=10.000ns}})
  Destination:            logic_system/accelerator/fc0/sum_reg[17]/D
                            (rising edge-triggered cell FDRE clocked by fclk0  {{rise@0.000ns fall@5.000ns period=10.000ns}})
  Path Group:             fclk0
  Path Type:              Setup (Max at Slow Process Corner)
  Requirement:            10.000ns  (fclk0 rise@10.000ns - fclk0 rise@0.000ns)
  Data Path Delay:        9.109ns  (logic 4.872ns (53.486%)  route 4.237ns (46.514%))
  Logic Levels:           7  (CARRY4=4 LUT6=3)
"""  # noqa: E501


def timing(wns: str = "0.421", whs: str = "0.035") -> str:
    met = not wns.startswith("-")
    verdict = "All user specified timing constraints are met." if met else "Timing constraints are not met."
    return TIMING.format(wns=wns, whs=whs, tns="0.000", verdict=verdict, kind="MET" if met else "VIOLATED")


UTILISATION = """\
1. Slice Logic
--------------

+----------------------------+-------+-------+------------+-----------+-------+
|          Site Type         |  Used | Fixed | Prohibited | Available | Util% |
+----------------------------+-------+-------+------------+-----------+-------+
| Slice LUTs*                |  9876 |     0 |          0 |     53200 | 18.56 |
|   LUT as Logic             |  9000 |     0 |          0 |     53200 | 16.92 |
|   LUT as Memory            |   876 |     0 |          0 |     17400 |  5.03 |
| Slice Registers            | 12321 |     0 |          0 |    106400 | 11.58 |
|   Register as Flip Flop    | 12321 |     0 |          0 |    106400 | 11.58 |
+----------------------------+-------+-------+------------+-----------+-------+
* Warning! The Final LUT count, after physical optimizations and full implementation, is typically lower.

3. Memory
---------

+-------------------+------+-------+------------+-----------+-------+
|     Site Type     | Used | Fixed | Prohibited | Available | Util% |
+-------------------+------+-------+------------+-----------+-------+
| Block RAM Tile    | 12.5 |     0 |          0 |       140 |  8.93 |
|   RAMB36/FIFO*    |   10 |     0 |          0 |       140 |  7.14 |
|   RAMB18          |    5 |     0 |          0 |       280 |  1.79 |
+-------------------+------+-------+------------+-----------+-------+

4. DSP
------

+-----------+------+-------+------------+-----------+-------+
| Site Type | Used | Fixed | Prohibited | Available | Util% |
+-----------+------+-------+------------+-----------+-------+
| DSPs      |   17 |     0 |          0 |       220 |  7.73 |
+-----------+------+-------+------------+-----------+-------+
"""

NEXTPNR = """\
Info: constraining clock net 'fclk0' to 100.00 MHz
Info: Packing constants..
Info:     derived 100.0 MHz for net 'aclk' (through BUFG 'clock_buffer')
Info: Device utilisation:
Info: \t          SLICE_LUTX: 12000/106400    11%
Info: \t           SLICE_FFX:  9000/106400     8%
Info: \t              CARRY4:   700/13300     5%
Info: \t            BUFGCTRL:     1/   32     3%
Info: \t             PS7_PS7:     1/    1   100%
Info: \t            RAMB18E1:     3/  280     1%
Info: \t            RAMB36E1:    11/  140     7%
Info: \t             DSP48E1:    21/  220     9%

Info: Max frequency for clock 'aclk': 121.00 MHz (PASS at 100.00 MHz)

Info: Routing complete.

Info: Critical path report for clock 'aclk' (posedge -> posedge):
Info: curr total
Info:  0.5  0.5  Source logic_system.accelerator.fc0.count_reg.Q
Info:  1.2  1.7    Net logic_system.accelerator.fc0.count[0] budget 0.000000 ns (13,1) -> (10,9)
Info:                Sink logic_system.accelerator.fc0.sum.A4
Info:  0.1  1.8  Source logic_system.accelerator.fc0.sum.O6
Info:  0.0  1.8  Setup logic_system.accelerator.fc0.sum_reg.D
Info: 3.1 ns logic, 5.5 ns routing

{line}
"""


def nextpnr(fmax: float = 115.5) -> str:
    verdict = "Info: " if fmax >= 100 else "Warning: "
    met = "PASS" if fmax >= 100 else "FAIL"
    return NEXTPNR.format(line=f"{verdict}Max frequency for clock 'aclk': {fmax:.2f} MHz ({met} at 100.00 MHz)")
